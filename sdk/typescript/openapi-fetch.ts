// A call of the call centre, by the client of openapi-typescript and openapi-fetch.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const { KEHU_URL: baseUrl, KEHU_TOKEN: token } = process.env;
assert(baseUrl && token);
const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}`, "X-Purpose": "call" } });

// Page through a list, until somebody has a telephone.
type ContactPoint = components["schemas"]["ContactPoint"];
let cursor: string | undefined;
let phone: ContactPoint | undefined;
let pages = 0;
do {
  const { data } = await api.GET("/v1/customers", { params: { query: cursor === undefined ? { limit: 2 } : { limit: 2, cursor } } });
  assert(data && data.items.length <= 2);
  for (const customer of data.items) {
    const path = { customer_id: customer.id };
    const points = await api.GET("/v1/customers/{customer_id}/contact-points", { params: { path } });
    phone ??= points.data?.items.find((point) => point.kind === "phone");
  }
  cursor = data.next_cursor ?? undefined;
  pages += 1;
} while (cursor !== undefined && (phone === undefined || pages < 3));
assert(phone && pages >= 3);

// Who calls, and what is there to know?
const found = await api.POST("/v1/customers/lookup", { body: { phone: phone.value } });
assert(found.data?.items.some((one) => one.customer.id === phone.customer_id));
const path = { customer_id: phone.customer_id };
const view = await api.GET("/v1/customers/{customer_id}/view", { params: { path, query: { perspective: "agent" } } });
assert.equal(view.data?.profile.customer.id, phone.customer_id);

// A new contact point, sent twice under one key, is one.
const key = crypto.randomUUID();
const add = () =>
  api.POST("/v1/customers/{customer_id}/contact-points", {
    params: { path, header: { "Idempotency-Key": key } },
    body: { kind: "email", value: `${key.slice(0, 8)}@example.com` },
  });
const [first, again] = [await add(), await add()];
assert.equal(first.response.status, 201);
assert.equal(again.response.headers.get("Idempotency-Replayed"), "true");
assert(first.data && first.data.id === again.data?.id);

// A change names the version that it was made on; a stale one is a problem that says the present version.
const change = (etag: string) =>
  api.PATCH("/v1/customers/{customer_id}/contact-points/{contact_point_id}", {
    params: { path: { ...path, contact_point_id: first.data.id }, header: { "If-Match": etag } },
    body: { label: "office" },
  });
const etag = first.response.headers.get("ETag");
assert(etag);
const changed = await change(etag);
assert.equal(changed.data?.label, "office");
const stale = await change(etag);
assert.equal(stale.error?.code, "precondition_failed");
assert.equal(stale.error?.current_version, changed.data?.version);
console.log("typescript, openapi-fetch: done");
