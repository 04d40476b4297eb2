// A call of the call centre, by the Go client of openapi-generator.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	kehu "kehu.dev/sdk/go"
)

func main() {
	configuration := kehu.NewConfiguration()
	configuration.Servers = kehu.ServerConfigurations{{URL: os.Getenv("KEHU_URL")}}
	configuration.AddDefaultHeader("X-Purpose", "call")
	client := kehu.NewAPIClient(configuration)
	ctx := context.WithValue(context.Background(), kehu.ContextAccessToken, os.Getenv("KEHU_TOKEN"))

	phone := findPhone(ctx, client)
	id := phone.GetCustomerId()

	// Who calls, and what is there to know?
	lookup := kehu.NewCustomerLookup()
	lookup.SetPhone(phone.GetValue())
	found, _, err := client.CustomersAPI.LookupCustomers(ctx).CustomerLookup(*lookup).Execute()
	check(err == nil, err)
	known := false
	for _, hit := range found.GetItems() {
		known = known || hit.Customer.GetId() == id
	}
	check(known, "the caller is not found")
	view, _, err := client.CustomersAPI.GetCustomerView(ctx, id).Perspective("agent").Execute()
	check(err == nil && view.Profile.Customer.GetId() == id, err)

	// A new contact point, sent twice under one key, is one.
	key := fmt.Sprintf("go-%d", time.Now().UnixNano())
	input := kehu.NewContactPointInput(kehu.CONTACTPOINTKIND_EMAIL)
	input.SetValue(key + "@example.com")
	add := func() (*kehu.ContactPoint, *http.Response) {
		made, answer, err := client.ContactPointsAPI.CreateCustomerContactPoint(ctx, id).
			ContactPointInput(*input).IdempotencyKey(key).Execute()
		check(err == nil && answer.StatusCode == http.StatusCreated, err)
		return made, answer
	}
	first, created := add()
	again, replayed := add()
	check(replayed.Header.Get("Idempotency-Replayed") == "true" && first.GetId() == again.GetId(), "carried out twice")

	// A change names the version that it was made on; a stale one is a problem that says the present version.
	change := func(etag string) (*kehu.ContactPoint, error) {
		patch := kehu.NewContactPointPatch()
		patch.SetLabel("office")
		changed, _, err := client.ContactPointsAPI.UpdateCustomerContactPoint(ctx, id, first.GetId()).
			IfMatch(etag).ContactPointPatch(*patch).Execute()
		return changed, err
	}
	changed, err := change(created.Header.Get("ETag"))
	check(err == nil && changed.GetLabel() == "office", err)
	_, err = change(created.Header.Get("ETag"))
	var refused *kehu.GenericOpenAPIError
	check(errors.As(err, &refused), "a stale version was taken")
	problem, told := refused.Model().(kehu.Problem)
	check(told && problem.GetCode() == "precondition_failed", refused)
	check(problem.GetCurrentVersion() == changed.GetVersion(), "the version is not told")
	fmt.Println("go, openapi-generator: done")
}

// Pages through a list, until somebody has a telephone.
func findPhone(ctx context.Context, client *kehu.APIClient) *kehu.ContactPoint {
	var phone *kehu.ContactPoint
	cursor, pages := "", 0
	for phone == nil || pages < 3 {
		request := client.CustomersAPI.ListCustomers(ctx).Limit(2)
		if cursor != "" {
			request = request.Cursor(cursor)
		}
		page, _, err := request.Execute()
		check(err == nil && len(page.GetItems()) <= 2, err)
		for _, customer := range page.GetItems() {
			points, _, err := client.ContactPointsAPI.ListCustomerContactPoints(ctx, customer.GetId()).Execute()
			check(err == nil, err)
			for _, point := range points.GetItems() {
				if phone == nil && point.GetKind() == kehu.CONTACTPOINTKIND_PHONE {
					phone = &point
				}
			}
		}
		pages++
		if cursor = page.GetNextCursor(); cursor == "" {
			break
		}
	}
	check(phone != nil && pages >= 3, "nobody has a telephone")
	return phone
}

func check(holds bool, otherwise any) {
	if !holds {
		panic(otherwise)
	}
}
