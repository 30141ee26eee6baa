// One intent to pay, and its key. Pure: where it is kept and how it is sent is elsewhere.
//
// Whatever happens to the page, one intent is one transfer, because every request of it has the same key:
// a double click, a reload, the back button, a lost answer and a duplicated tab (which has a copy of the session storage).

/** What a request holds. It is kept as it was sent, so that a repeat says the same. */
export type Order = {
  source_account_id: string;
  destination_account_id: string;
  amount: number;
  currency: string;
  note: string | null;
};

/** The form, as it was typed. */
export type Typed = { source: string; payee: string; amount: string; note: string };

/**
 * `typing`: nothing was sent, or what was sent was refused. `sent`: a request left, and its answer is not known; the
 * form is closed, because another key could pay twice. `known`: the transfer is there.
 */
export type Intent = { key: string; customerId: string; typed: Typed } & (
  | { stage: "typing" }
  | { stage: "sent"; order: Order; unanswered: boolean }
  | { stage: "known"; transferId: string }
);

export const BLANK: Typed = { source: "", payee: "", amount: "", note: "" };

export function begin(customerId: string, typed: Typed = BLANK, key: string = crypto.randomUUID()): Intent {
  return { key, customerId, typed, stage: "typing" };
}

/** The form has changed. Another payee, amount, note or source is another intent, so it gets another key. */
export function edit(intent: Intent, typed: Typed, key: string = crypto.randomUUID()): Intent {
  if (intent.stage !== "typing") return intent;
  const names = Object.keys(BLANK) as (keyof Typed)[];
  const isSame = names.every((name) => intent.typed[name] === typed[name]);
  return isSame ? intent : { ...intent, typed, key };
}

/** Before the request leaves: from now on nobody knows whether it arrives. */
export function send(intent: Intent, order: Order): Intent {
  return intent.stage === "typing" ? { ...intent, stage: "sent", order, unanswered: false } : intent;
}

/** No answer came, so the transfer may be there. */
export function missAnswer(intent: Intent): Intent {
  return intent.stage === "sent" ? { ...intent, unanswered: true } : intent;
}

export function know(intent: Intent, transferId: string): Intent {
  const { key, customerId, typed } = intent;
  return { key, customerId, typed, stage: "known", transferId };
}

/** The request was refused. It moved nothing and its key stays free, so the form is open again. */
export function refuse(intent: Intent): Intent {
  const { key, customerId, typed } = intent;
  return { key, customerId, typed, stage: "typing" };
}

/** What a page has kept, if it is an intent of this customer. */
export function readIntent(kept: string | null, customerId: string): Intent | null {
  if (kept === null) return null;
  try {
    const intent = JSON.parse(kept) as Intent;
    const isOne = typeof intent.key === "string" && intent.key.length >= 20 && typeof intent.typed?.amount === "string";
    return isOne && intent.customerId === customerId ? intent : null;
  } catch {
    return null;
  }
}

/** The key of a retry. It names the attempt that failed, so however often and wherever it is clicked, one follows. */
export function retryKey(transferId: string, failedAttempt: number): string {
  return `retry/${transferId}/${failedAttempt}`;
}
