"""A call of the call centre, by the Python client of openapi-generator."""

import os
import uuid

from kehu_client import ApiClient, Configuration
from kehu_client.api import ContactPointsApi, CustomersApi
from kehu_client.api_response import ApiResponse
from kehu_client.exceptions import ApiException
from kehu_client.models import (
    ContactPoint,
    ContactPointInput,
    ContactPointKind,
    ContactPointPatch,
    CustomerLookup,
    Problem,
)

client = ApiClient(Configuration(host=os.environ["KEHU_URL"], access_token=os.environ["KEHU_TOKEN"]))
client.default_headers["X-Purpose"] = "call"
customers, contact_points = CustomersApi(client), ContactPointsApi(client)

# Page through a list, until somebody has a telephone.
cursor: str | None = None
phone: ContactPoint | None = None
pages = 0
while phone is None or pages < 3:
    page = customers.list_customers(limit=2, cursor=cursor)
    assert len(page.items) <= 2
    for customer in page.items:
        points = contact_points.list_customer_contact_points(customer.id).items
        phone = phone or next((point for point in points if point.kind == ContactPointKind.PHONE), None)
    pages += 1
    cursor = page.next_cursor
    if cursor is None:
        break
assert phone is not None and pages >= 3

# Who calls, and what is there to know?
found = customers.lookup_customers(CustomerLookup(phone=phone.value))
assert any(hit.customer.id == phone.customer_id for hit in found.items)
view = customers.get_customer_view(phone.customer_id, perspective="agent")
assert view.profile.customer.id == phone.customer_id

# A new contact point, sent twice under one key, is one.
key = str(uuid.uuid4())
body = ContactPointInput(kind=ContactPointKind.EMAIL, value=f"{key[:8]}@example.com")


def add() -> ApiResponse[ContactPoint]:
    assert phone is not None
    return contact_points.create_customer_contact_point_with_http_info(phone.customer_id, body, idempotency_key=key)


def header(answer: ApiResponse[ContactPoint], name: str) -> str:
    assert answer.headers is not None
    return {key.lower(): value for key, value in answer.headers.items()}[name]


first, again = add(), add()
assert first.status_code == 201
assert header(again, "idempotency-replayed") == "true" and again.data.id == first.data.id


# A change names the version that it was made on; a stale one is a problem that says the present version.
def change(etag: str) -> ContactPoint:
    patch = ContactPointPatch(label="office")
    return contact_points.update_customer_contact_point(first.data.customer_id, first.data.id, etag, patch)


changed = change(header(first, "etag"))
assert changed.label == "office"
try:
    change(header(first, "etag"))
    raise AssertionError("a stale version was taken")
except ApiException as refused:
    assert isinstance(refused.data, Problem)
    assert refused.data.code == "precondition_failed" and refused.data.current_version == changed.version
print("python, openapi-generator: done")
