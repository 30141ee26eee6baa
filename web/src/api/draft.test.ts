import { describe, expect, it } from "vitest";
import { beginDraft, editDraft, readDraft } from "./draft";

const ADA = "cus_ada";
const draft = beginDraft(ADA, { amount: "12.50" });

describe("the key of a draft", () => {
  it("stays through a reload", () => {
    expect(readDraft(JSON.stringify(draft), ADA)).toEqual(draft);
  });

  it("changes with what is typed, and does not come back with it", () => {
    const other = editDraft(draft, { amount: "12.51" });
    expect(other.key).not.toBe(draft.key);
    expect(editDraft(other, { amount: "12.50" }).key).not.toBe(draft.key);
    expect(editDraft(draft, { amount: "12.50" })).toBe(draft);
  });

  it("stays while the answer is not known: what was sent takes no change", () => {
    const sent = { ...draft, isSent: true };
    expect(editDraft(sent, { amount: "99" })).toBe(sent);
  });
});

it.each([null, "", "{}", "[]", "7"])("is not read from %j", (kept) => {
  expect(readDraft(kept, ADA)).toBeNull();
});

it("counts for its own customer alone", () => {
  expect(readDraft(JSON.stringify(draft), "cus_ben")).toBeNull();
});
