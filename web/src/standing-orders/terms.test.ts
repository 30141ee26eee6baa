import { describe, expect, it, vi } from "vitest";

vi.stubGlobal("location", { origin: "http://remit.test" });
const { BLANK_ORDER, changesOf, readTerms, recurrenceText, typedOf } = await import("./terms");

const USD = { code: "USD", digits: 2 };
const JPY = { code: "JPY", digits: 0 };
const TYPED = {
  ...BLANK_ORDER,
  source: "acc_1",
  payee: "RM04 4040 4040 4040",
  amount: "1,250.50",
  note: " Rent ",
  firstDate: "2030-01-31",
  zone: "Africa/Lagos",
};

const bodyOf = (typed: typeof TYPED, currency = USD) => {
  const read = readTerms(typed, currency);
  if ("objections" in read) throw new Error(JSON.stringify(read.objections));
  return read.body;
};

describe("the terms of an order", () => {
  it("have the amount in the minor unit of its currency, and no other", () => {
    expect(bodyOf(TYPED)).toMatchObject({ amount: 125050, currency: "USD", note: "Rent" });
    expect(bodyOf({ ...TYPED, amount: "1,250" }, JPY)).toMatchObject({ amount: 1250 });
    expect(bodyOf(TYPED)).not.toHaveProperty("above");
  });

  it("pay what is above an amount, which may be zero", () => {
    expect(bodyOf({ ...TYPED, pays: "above", amount: "0" })).toMatchObject({ above: 0 });
    expect(bodyOf({ ...TYPED, pays: "above", amount: "10.00" })).toMatchObject({ above: 1000 });
    expect(readTerms({ ...TYPED, amount: "0" }, USD)).toHaveProperty("objections.amount");
  });

  it("end where the form says, and in one way", () => {
    const ends = (ends: "never" | "on" | "after") =>
      bodyOf({ ...TYPED, ends, endDate: "2031-12-31", count: "5" }).recurrence;
    expect(ends("never")).toMatchObject({ end_date: null, count: null });
    expect(ends("on")).toMatchObject({ end_date: "2031-12-31", count: null });
    expect(ends("after")).toMatchObject({ end_date: null, count: 5 });
  });

  it("name every input that is wrong", () => {
    const read = readTerms({ ...BLANK_ORDER, every: "0", retryDays: "15", ends: "after", count: "" }, USD);
    expect(Object.keys("objections" in read ? read.objections : {}).sort()).toEqual(
      ["amount", "count", "every", "firstDate", "payee", "retryDays"].sort(),
    );
  });
});

const ORDER = {
  source_account_id: "acc_1",
  destination_account_id: `acc_${"a".repeat(26)}`,
  amount: 125050,
  above: null,
  note: "Rent",
  time_zone: "Africa/Lagos",
  holidays: "on_the_day",
  after_outage: "pay_each",
  retry_days: 2,
  recurrence: {
    frequency: "monthly",
    first_date: "2030-01-31",
    every: 1,
    last_day: false,
    end_date: null,
    count: null,
  },
} as unknown as Parameters<typeof typedOf>[0];

it("sends of a change what differs, and nothing else", () => {
  const typed = typedOf(ORDER, USD);
  const before = bodyOf(typed);
  expect(changesOf(before, bodyOf(typed))).toEqual({});
  expect(changesOf(before, bodyOf({ ...typed, amount: "99" }))).toEqual({ amount: 9900 });
  expect(changesOf(before, bodyOf({ ...typed, pays: "above", amount: "5" }))).toEqual({ above: 500 });
  expect(changesOf(before, bodyOf({ ...typed, note: "" }))).toEqual({ note: null });
});

it("says when an order pays", () => {
  const plain = { frequency: "monthly", first_date: "2030-01-31", every: 1, last_day: false } as const;
  expect(recurrenceText({ ...plain, end_date: null, count: null })).toBe("Every month");
  expect(recurrenceText({ ...plain, every: 2, last_day: true, end_date: null, count: 12 })).toBe(
    "Every 2 months, on the last day, 12 times",
  );
  expect(recurrenceText({ ...plain, frequency: "once", end_date: null, count: null })).toBe("Once");
});
