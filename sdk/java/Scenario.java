import dev.kehu.client.ApiClient;
import dev.kehu.client.ApiException;
import dev.kehu.client.ApiResponse;
import dev.kehu.client.api.ContactPointsApi;
import dev.kehu.client.api.CustomersApi;
import dev.kehu.client.model.ContactPoint;
import dev.kehu.client.model.ContactPointInput;
import dev.kehu.client.model.ContactPointKind;
import dev.kehu.client.model.ContactPointPatch;
import dev.kehu.client.model.Customer;
import dev.kehu.client.model.CustomerLookup;
import dev.kehu.client.model.CustomerPage;
import dev.kehu.client.model.CustomerView;
import dev.kehu.client.model.Problem;
import java.util.UUID;

/** A call of the call centre, by the Java client of openapi-generator. */
public final class Scenario {
    private Scenario() {}

    public static void main(String[] arguments) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("KEHU_URL"));
        String token = System.getenv("KEHU_TOKEN");
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token).header("X-Purpose", "call"));
        CustomersApi customers = new CustomersApi(client);
        ContactPointsApi contactPoints = new ContactPointsApi(client);

        // Page through a list, until somebody has a telephone.
        String cursor = null;
        ContactPoint phone = null;
        int pages = 0;
        do {
            CustomerPage page =
                    customers.listCustomers(null, null, null, null, null, null, null, null, null, null, null, null, 2L, cursor, null);
            check(page.getItems().size() <= 2);
            for (Customer customer : page.getItems()) {
                for (ContactPoint point : contactPoints.listCustomerContactPoints(customer.getId(), null, null, null).getItems()) {
                    phone = phone == null && point.getKind() == ContactPointKind.PHONE ? point : phone;
                }
            }
            cursor = page.getNextCursor();
            pages += 1;
        } while (cursor != null && (phone == null || pages < 3));
        check(phone != null && pages >= 3);

        // Who calls, and what is there to know?
        UUID id = phone.getCustomerId();
        CustomerLookup lookup = new CustomerLookup().phone(phone.getValue());
        check(customers.lookupCustomers(lookup, null).getItems().stream().anyMatch(hit -> hit.getCustomer().getId().equals(id)));
        CustomerView view = customers.getCustomerView(id, "agent");
        check(view.getProfile().getCustomer().getId().equals(id));

        // A new contact point, sent twice under one key, is one.
        String key = UUID.randomUUID().toString();
        ContactPointInput input = new ContactPointInput().kind(ContactPointKind.EMAIL).value(key.substring(0, 8) + "@example.com");
        ApiResponse<ContactPoint> first = contactPoints.createCustomerContactPointWithHttpInfo(id, input, key);
        ApiResponse<ContactPoint> again = contactPoints.createCustomerContactPointWithHttpInfo(id, input, key);
        check(first.getStatusCode() == 201 && first.getData().getId().equals(again.getData().getId()));
        check(header(again, "idempotency-replayed").equals("true"));

        // A change names the version that it was made on; a stale one is a problem that says the present version.
        ContactPointPatch patch = new ContactPointPatch().label("office");
        String etag = header(first, "etag");
        ContactPoint changed = contactPoints.updateCustomerContactPoint(id, first.getData().getId(), etag, patch);
        check("office".equals(changed.getLabel()));
        try {
            contactPoints.updateCustomerContactPoint(id, first.getData().getId(), etag, patch);
            throw new AssertionError("a stale version was taken");
        } catch (ApiException refused) {
            Problem problem = client.getObjectMapper().readValue(refused.getResponseBody(), Problem.class);
            check(refused.getCode() == 412 && problem.getCode().equals("precondition_failed"));
            check(changed.getVersion().equals(problem.getCurrentVersion()));
        }
        System.out.println("java, openapi-generator: done");
    }

    private static String header(ApiResponse<?> answer, String name) {
        return answer.getHeaders().get(name).get(0);
    }

    private static void check(boolean holds) {
        if (!holds) {
            throw new AssertionError();
        }
    }
}
