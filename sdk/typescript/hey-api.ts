// A call of the call centre, by the client of @hey-api/openapi-ts.
import assert from "node:assert/strict";
import { client } from "./client/client.gen.js";
import {
  createCustomerContactPoint,
  getCustomerView,
  listCustomerContactPoints,
  listCustomers,
  lookupCustomers,
  updateCustomerContactPoint,
  type ContactPoint,
} from "./client/index.js";

const { KEHU_URL: baseUrl, KEHU_TOKEN: token } = process.env;
assert(baseUrl && token);
client.setConfig({ baseUrl, auth: () => token, headers: { "X-Purpose": "call" } });

// Page through a list, until somebody has a telephone.
let cursor: string | undefined;
let phone: ContactPoint | undefined;
let pages = 0;
do {
  const { data } = await listCustomers({ query: cursor === undefined ? { limit: 2 } : { limit: 2, cursor } });
  assert(data && data.items.length <= 2);
  for (const customer of data.items) {
    const points = await listCustomerContactPoints({ path: { customer_id: customer.id } });
    phone ??= points.data?.items.find((point) => point.kind === "phone");
  }
  cursor = data.next_cursor ?? undefined;
  pages += 1;
} while (cursor !== undefined && (phone === undefined || pages < 3));
assert(phone && pages >= 3);

// Who calls, and what is there to know?
const found = await lookupCustomers({ body: { phone: phone.value } });
assert(found.data?.items.some((one) => one.customer.id === phone.customer_id));
const path = { customer_id: phone.customer_id };
const view = await getCustomerView({ path, query: { perspective: "agent" } });
assert.equal(view.data?.profile.customer.id, phone.customer_id);

// A new contact point, sent twice under one key, is one.
const key = crypto.randomUUID();
const body = { kind: "email", value: `${key.slice(0, 8)}@example.com` } as const;
const add = () => createCustomerContactPoint({ path, body, headers: { "Idempotency-Key": key } });
const [first, again] = [await add(), await add()];
assert.equal(first.response?.status, 201);
assert.equal(again.response?.headers.get("Idempotency-Replayed"), "true");
assert(first.data && first.data.id === again.data?.id);

// A change names the version that it was made on; a stale one is a problem that says the present version.
const contactPoint = { ...path, contact_point_id: first.data.id };
const change = (etag: string) =>
  updateCustomerContactPoint({ path: contactPoint, headers: { "If-Match": etag }, body: { label: "office" } });
const etag = first.response?.headers.get("ETag");
assert(etag);
const changed = await change(etag);
assert.equal(changed.data?.label, "office");
const stale = await change(etag);
assert.equal(stale.error?.code, "precondition_failed");
assert.equal(stale.error?.current_version, changed.data?.version);
console.log("typescript, hey-api: done");
