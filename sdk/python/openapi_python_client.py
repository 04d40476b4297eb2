"""A call of the call centre, by the client of openapi-python-client."""

import os
import uuid

from kehu import AuthenticatedClient
from kehu.api.contact_points import (
    create_customer_contact_point,
    list_customer_contact_points,
    update_customer_contact_point,
)
from kehu.api.customers import get_customer_view, list_customers, lookup_customers
from kehu.models import (
    ContactPoint,
    ContactPointInput,
    ContactPointKind,
    ContactPointPage,
    ContactPointPatch,
    CustomerLookup,
    CustomerPage,
    CustomerView,
    GetCustomerViewPerspective,
    LookupResult,
    Problem,
)
from kehu.types import UNSET, Response, Unset

client = AuthenticatedClient(
    base_url=os.environ["KEHU_URL"], token=os.environ["KEHU_TOKEN"], headers={"X-Purpose": "call"}
)

# Page through a list, until somebody has a telephone.
cursor: str | Unset = UNSET
phone: ContactPoint | None = None
pages = 0
while phone is None or pages < 3:
    page = list_customers.sync(client=client, limit=2, cursor=cursor)
    assert isinstance(page, CustomerPage) and len(page.items) <= 2
    for customer in page.items:
        points = list_customer_contact_points.sync(customer.id, client=client)
        assert isinstance(points, ContactPointPage)
        phone = phone or next((point for point in points.items if point.kind == ContactPointKind.PHONE), None)
    pages += 1
    if not isinstance(page.next_cursor, str):
        break
    cursor = page.next_cursor
assert phone is not None and pages >= 3

# Who calls, and what is there to know?
found = lookup_customers.sync(client=client, body=CustomerLookup(phone=phone.value))
assert isinstance(found, LookupResult)
assert any(hit.customer.id == phone.customer_id for hit in found.items)
view = get_customer_view.sync(phone.customer_id, client=client, perspective=GetCustomerViewPerspective.AGENT)
assert isinstance(view, CustomerView) and view.profile.customer.id == phone.customer_id

# A new contact point, sent twice under one key, is one.
key = str(uuid.uuid4())
body = ContactPointInput(kind=ContactPointKind.EMAIL, value=f"{key[:8]}@example.com")


def add() -> tuple[ContactPoint, Response[ContactPoint | Problem]]:
    assert phone is not None
    answer = create_customer_contact_point.sync_detailed(
        phone.customer_id, client=client, body=body, idempotency_key=key
    )
    assert answer.status_code == 201 and isinstance(answer.parsed, ContactPoint)
    return answer.parsed, answer


(first, created), (again, replayed) = add(), add()
assert replayed.headers["Idempotency-Replayed"] == "true" and again.id == first.id


# A change names the version that it was made on; a stale one is a problem that says the present version.
def change(etag: str) -> ContactPoint | Problem | None:
    patch = ContactPointPatch(label="office")
    return update_customer_contact_point.sync(first.customer_id, first.id, client=client, body=patch, if_match=etag)


changed = change(created.headers["ETag"])
assert isinstance(changed, ContactPoint) and changed.label == "office"
stale = change(created.headers["ETag"])
assert isinstance(stale, Problem) and stale.code == "precondition_failed"
assert stale.current_version == changed.version
print("python, openapi-python-client: done")
