// What an error says about a request that must be made once.

import { Problem } from "./problem";

const UNKNOWN_STATUSES = new Set([408, 425]);

/**
 * What an error says about what was asked for. `refused`: it is not there. `unknown`: it may be there. `stopped`: it may
 * be there, and its customer has to sign in before it can be asked about.
 *
 * 401 and 429 come before anybody looks whether the key is known: behind a lost answer they tell nothing.
 */
export function ruleOn(error: unknown, unanswered: boolean): "refused" | "unknown" | "stopped" {
  if (!(error instanceof Problem) || error.status >= 500 || UNKNOWN_STATUSES.has(error.status)) return "unknown";
  if (error.status === 401) return unanswered ? "stopped" : "refused";
  if (error.status === 429) return unanswered ? "unknown" : "refused";
  return "refused";
}
