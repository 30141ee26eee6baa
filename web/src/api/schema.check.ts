// What a developer writes against the generated types. It does not compile if a name, a header or an enum is missing.

import type { components, operations, paths } from "./schema.gen";

type Created = operations["transfers.create"];
const key: Created["parameters"]["header"]["Idempotency-Key"] = "3f0c5a6e";
const body: Created["requestBody"]["content"]["application/json"] = {
  source_account_id: "acc_a",
  destination_account_id: "acc_b",
  amount: 125500,
  currency: "USD",
  metadata: { invoice: "2026-0042" },
};
const transfer = {} as Created["responses"][201]["content"]["application/json"];
const code: NonNullable<components["schemas"]["FailureOut"]>["code"] = "insufficient_funds";
const problem: components["schemas"]["ProblemDetails"]["code"] = "idempotency_key_reused";
// @ts-expect-error: not one of the codes
const wrong: components["schemas"]["ProblemDetails"]["code"] = "no_such_code";
// @ts-expect-error: a required header
const headers: Created["parameters"]["header"] = {};
const list: paths["/v1/transfers"]["get"]["responses"][200]["content"]["application/json"]["items"] = [transfer];

export { body, code, headers, key, list, problem, wrong };
