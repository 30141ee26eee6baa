import { expect, it } from "vitest";
import { stuckAt } from "./stuck";

const accounts = { source_account_id: "acc_a", destination_account_id: "acc_b" };

it("names the step without an answer and the account that it waits for", () => {
  expect(stuckAt({ ...accounts, state: "debited" })).toMatchObject({
    title: "The credit has no answer",
    blocker: "acc_b",
  });
  expect(stuckAt({ ...accounts, state: "initiated" })).toMatchObject({
    title: "The debit has no answer",
    blocker: "acc_a",
  });
  expect(stuckAt({ ...accounts, source_account_id: "world", state: "initiated" }).blocker).toBe("acc_b");
  expect(stuckAt({ ...accounts, destination_account_id: "world", state: "debited" }).blocker).toBe("acc_a");
});
