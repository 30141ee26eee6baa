// The payment of this tab: its intent, and the requests that ask about it until an answer is known.
//
// It belongs to the tab and not to a page, so it goes on while its customer looks at something else.

import { useSyncExternalStore } from "react";
import { cache } from "../api/cache";
import { api } from "../api/client";
import { answerTo } from "../api/problem";
import { ruleOn } from "../api/ruling";
import { transferQuery } from "../transactions/queries";
import { begin, edit, type Intent, know, missAnswer, type Order, refuse, send, type Typed } from "./intent";
import { forgetIntent, loadIntent, storeIntent } from "./stored";

type Payment = { intent: Intent; refusal: unknown };

const PAUSES_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

let payment: Payment | null = null;
let isAsking = false;
const listeners = new Set<() => void>();

/** The payment of this customer in this tab. */
export function usePayment(customerId: string): Payment {
  return useSyncExternalStore(listen, () => of(customerId));
}

/** After a reload or a sign-in: ask about a payment whose answer is not known. */
export function resume(customerId: string): void {
  of(customerId);
  void ask();
}

/** At a sign-out: the next customer of this tab finds nothing of it. */
export function drop(): void {
  payment = null;
  forgetIntent();
}

export function type(typed: Typed): void {
  if (payment) change(edit(payment.intent, typed));
}

export function pay(order: Order): void {
  if (payment === null || payment.intent.stage !== "typing") return;
  change(send(payment.intent, order));
  void ask();
}

/** Another payment; with the same contents, where the last one ended without success. */
export function startOver(typed?: Typed): void {
  if (payment) change(begin(payment.intent.customerId, typed));
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function of(customerId: string): Payment {
  if (payment?.intent.customerId !== customerId) {
    payment = { intent: loadIntent(customerId) ?? begin(customerId), refusal: null };
    storeIntent(payment.intent);
  }
  return payment;
}

// It is stored before anything else happens: a reload at any moment finds what was about to be sent.
function change(intent: Intent, refusal: unknown = null): void {
  storeIntent(intent);
  payment = { intent, refusal };
  for (const listener of listeners) listener();
}

/** Ask, with one key, until it is known whether the transfer is there. */
async function ask(): Promise<void> {
  if (isAsking) return;
  isAsking = true;
  try {
    for (let tries = 0; payment?.intent.stage === "sent"; tries += 1) {
      const { intent } = payment;
      if (!(await isKnown(intent))) await pause(PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)] ?? 0);
    }
  } finally {
    isAsking = false;
  }
}

/** One request. False: no answer came, or one that says nothing about the transfer. */
async function isKnown(intent: Intent & { stage: "sent" }): Promise<boolean> {
  try {
    const transfer = await answerTo(
      api.POST("/v1/transfers", {
        params: { header: { "Idempotency-Key": intent.key, Prefer: "wait=3" } },
        body: intent.order,
      }),
    );
    cache.setQueryData(transferQuery(transfer.id).queryKey, transfer);
    for (const key of ["transfers", "accounts", "statistics"]) cache.invalidateQueries({ queryKey: [key] });
    if (payment?.intent.key === intent.key) change(know(intent, transfer.id));
    return true;
  } catch (error) {
    if (payment?.intent.key !== intent.key) return true;
    const ruling = ruleOn(error, intent.unanswered);
    if (ruling === "unknown") change(missAnswer(intent));
    if (ruling === "refused") change(refuse(intent), error);
    if (ruling === "stopped") payment = { intent, refusal: error };
    return ruling !== "unknown";
  }
}

/** Wait, but not while there is a connection again. */
function pause(milliseconds: number): Promise<void> {
  return new Promise((resume) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resume();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
  });
}
