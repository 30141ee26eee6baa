import { describe, expect, it } from "vitest";
import {
  BLANK,
  begin,
  edit,
  type Intent,
  know,
  missAnswer,
  type Order,
  readIntent,
  refuse,
  retryKey,
  send,
} from "./intent";

const ADA = "cus_ada";
const TYPED = { source: "acc_1", payee: "RM04 4040 4040 4040", amount: "12.50", note: "rent" };
const ORDER: Order = {
  source_account_id: "acc_1",
  destination_account_id: "RM0440404040404040",
  amount: 1250,
  currency: "INR",
  note: "rent",
};

const reloaded = (intent: Intent, customerId = ADA) => readIntent(JSON.stringify(intent), customerId);

describe("the key of an intent", () => {
  it("is random", () => {
    expect(new Set(Array.from({ length: 100 }, () => begin(ADA).key)).size).toBe(100);
  });

  it("stays through a reload, a repeat and a duplicated tab", () => {
    const intent = begin(ADA, TYPED);
    expect(reloaded(intent)).toEqual(intent);
    const sent = send(intent, ORDER);
    expect(reloaded(sent)).toEqual(sent);
    expect([sent.key, missAnswer(sent).key, know(sent, "trf_1").key, refuse(sent).key]).toEqual(
      Array.from({ length: 4 }, () => intent.key),
    );
  });

  it.each([{ amount: "12.51" }, { payee: "RM1" }, { note: "rent " }, { source: "acc_2" }])(
    "changes with %j",
    (change) => {
      const intent = begin(ADA, TYPED);
      expect(edit(intent, { ...TYPED, ...change }).key).not.toBe(intent.key);
      expect(edit(intent, { ...TYPED })).toBe(intent);
    },
  );

  it("does not come back with what was typed before", () => {
    const intent = begin(ADA, TYPED);
    const there = edit(intent, { ...TYPED, amount: "13" });
    expect(edit(there, TYPED).key).not.toBe(intent.key);
  });
});

describe("an intent whose answer is not known", () => {
  const sent = send(begin(ADA, TYPED), ORDER);

  it("takes no change, because another key could pay twice", () => {
    expect(edit(sent, { ...TYPED, amount: "99" })).toBe(sent);
    expect(edit(missAnswer(sent), BLANK)).toEqual(missAnswer(sent));
  });

  it("keeps what was sent, so that a repeat says the same", () => {
    expect(send(sent, { ...ORDER, amount: 1 })).toBe(sent);
  });

  it("opens again once it was refused, and never once the transfer is there", () => {
    expect(refuse(sent).stage).toBe("typing");
    const known = know(sent, "trf_1");
    expect(edit(known, BLANK)).toBe(known);
    expect(send(known, ORDER)).toBe(known);
  });
});

describe("what a page has kept", () => {
  it("counts for its own customer alone", () => {
    expect(reloaded(begin(ADA), "cus_ben")).toBeNull();
  });

  it.each([null, "", "{}", "[]", "7", '{"key":"short"}'])("is no intent where it is %j", (kept) => {
    expect(readIntent(kept, ADA)).toBeNull();
  });
});

it("gives each failed attempt one retry", () => {
  expect(retryKey("trf_1", 1)).toBe(retryKey("trf_1", 1));
  expect(retryKey("trf_1", 1)).not.toBe(retryKey("trf_1", 2));
});
