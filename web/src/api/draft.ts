// What somebody types to ask for something once, and its key. Pure: where it is kept and how it is sent is elsewhere.
//
// A reload, a lost answer and a duplicated tab (which has a copy of the session storage) ask with the same key.

/** `isSent`: a request left and its answer is not known, so nothing of it may change: another key could ask twice. */
export type Draft<T> = { key: string; customerId: string; typed: T; isSent: boolean };

export function beginDraft<T>(customerId: string, typed: T, key: string = crypto.randomUUID()): Draft<T> {
  return { key, customerId, typed, isSent: false };
}

/** Something else is typed: that is another request, so it gets another key. */
export function editDraft<T>(draft: Draft<T>, typed: T, key: string = crypto.randomUUID()): Draft<T> {
  if (draft.isSent || JSON.stringify(draft.typed) === JSON.stringify(typed)) return draft;
  return { ...draft, typed, key };
}

/** What a page has kept, if it is of this customer. */
export function readDraft<T>(kept: string | null, customerId: string): Draft<T> | null {
  if (kept === null) return null;
  try {
    const draft = JSON.parse(kept) as Draft<T>;
    const isOne = typeof draft.key === "string" && draft.key.length >= 20 && typeof draft.typed === "object";
    return isOne && draft.customerId === customerId ? draft : null;
  } catch {
    return null;
  }
}
