// The intent of this tab. Session storage is the tab's own: a reload keeps it, and a duplicated tab gets a copy.

import { type Intent, readIntent } from "./intent";

const NAME = "remit-intent";

export function loadIntent(customerId: string): Intent | null {
  return readIntent(sessionStorage.getItem(NAME), customerId);
}

export function storeIntent(intent: Intent): void {
  sessionStorage.setItem(NAME, JSON.stringify(intent));
}

export function forgetIntent(): void {
  sessionStorage.removeItem(NAME);
}
