import { expect, it, vi } from "vitest";

vi.stubGlobal("location", { origin: "http://remit.test" });
const { direction, keyOf } = await import("./queries");

it.each([
  ["transfer/cus_a/3f0c", "3f0c"],
  ["transfer/cus_a/rent/2026 #2", "rent/2026"],
  ["transfer/cus_a/100%25 %231 #3", "100% #1"],
  ["transfer/cus_a/very-long%~0a1b", null],
  [null, null],
])("the key in %j is %j", (workflow_id, key) => {
  expect(keyOf({ workflow_id })).toBe(key);
});

it("tells which way the money went", () => {
  const transfer = { source_account_id: "acc_a", destination_account_id: "acc_b" } as Parameters<typeof direction>[0];
  expect(direction(transfer, new Set(["acc_a"]))).toBe("out");
  expect(direction(transfer, new Set(["acc_b"]))).toBe("in");
  expect(direction(transfer, new Set(["acc_a", "acc_b"]))).toBeUndefined();
});
