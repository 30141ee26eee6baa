// The browser's session. Its tokens are in cookies that no script reads; the CSRF token is kept in memory alone.

import type { components } from "./schema.gen";

export type BrowserSession = components["schemas"]["BrowserSessionOut"];

const PATH = "/v1/auth/browser";

// A refresh before the end, so that no request meets it.
const EARLY_MS = 30_000;

type Kept = { customerId: string; csrfToken: string; dueAt: number };

let kept: Kept | null = null;
let renewing: Promise<boolean> | null = null;
let onEnd: () => void = () => {};

// The tabs of a browser share its cookies, so one that signs in or out does it for all.
const tabs = new BroadcastChannel("remit-session");
tabs.onmessage = ({ data: customerId }) => {
  if (kept !== null && kept.customerId !== customerId) location.reload();
};

/** What happens once the session has ended. */
export function whenSignedOut(then: () => void): void {
  onEnd = then;
}

export function signedOut(): void {
  kept = null;
  onEnd();
}

/** Somebody has signed in here. */
export function begin(session: BrowserSession): void {
  keep(session);
  tabs.postMessage(session.customer_id);
}

/** They have signed out here. */
export function end(): void {
  kept = null;
  tabs.postMessage(null);
}

/** The server does not let the session in any more: ask before it is used again. */
export function distrust(): void {
  if (kept !== null) kept.dueAt = 0;
}

function keep(session: BrowserSession): void {
  kept = {
    customerId: session.customer_id,
    csrfToken: session.csrf_token,
    dueAt: Date.now() + session.expires_in * 1000 - EARLY_MS,
  };
}

/** The header of requests that change something. Empty where nobody is signed in. */
export async function csrfHeader(): Promise<Record<string, string>> {
  if (kept === null) await find();
  return kept === null ? {} : { "X-CSRF-Token": (kept as Kept).csrfToken };
}

/**
 * Find the session again: after a reload, or where another tab has begun another one. False: there is none, or it is
 * somebody else's, to whom nothing belongs that this page shows or is about to send.
 */
export async function find(): Promise<boolean> {
  const answer = await fetch(`${PATH}/session`);
  if (answer.status === 401) return false;
  if (!answer.ok) throw new Error("no answer");
  const session: BrowserSession = await answer.json();
  if (kept !== null && kept.customerId !== session.customer_id) {
    location.reload();
    return false;
  }
  keep(session);
  return true;
}

/** Get the next tokens. One at a time: the other requests wait for it. False: the session has ended. */
export function renew(): Promise<boolean> {
  renewing ??= refresh().finally(() => {
    renewing = null;
  });
  return renewing;
}

async function refresh(): Promise<boolean> {
  if (!(await find()) || kept === null) return false;
  const answer = await fetch(`${PATH}/refresh`, { method: "POST", headers: { "X-CSRF-Token": kept.csrfToken } });
  if (answer.status === 401 || answer.status === 403) return false;
  if (!answer.ok) throw new Error("no answer");
  keep(await answer.json());
  return true;
}

/** Renew a session whose access token is about to expire. For sockets, which show no problem. */
export async function renewIfDue(): Promise<boolean> {
  if (kept === null && !(await find())) return false;
  return kept !== null && Date.now() < (kept as Kept).dueAt ? true : renew();
}
