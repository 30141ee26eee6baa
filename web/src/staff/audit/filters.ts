// The filters of the audit trail, as they stand in its address.

import { asSpan, type Days, days, isOneOf, kept } from "../search";

/** Kinds by their beginnings: all that happened to transfers, all that staff did. */
export const KINDS_OF_RECORDS = {
  "transfer.": "Transfers",
  "staff.": "What staff did",
  "request.": "Requests that were refused",
  "account.": "Accounts",
  "customer.": "Customers",
  "document.": "Identity documents",
  "review.": "Reviews",
  "dispute.": "Disputes",
  "case.": "Cases",
  "tier_request.": "Requests for a tier",
  "rebuild.": "Rebuilds",
  "auth.": "Sign-ins",
};

export const OUTCOMES_OF_RECORDS = { done: "Done", asked: "Asked", refused: "Refused" };

export type AuditFilters = Partial<
  Days & {
    kind: keyof typeof KINDS_OF_RECORDS;
    outcome: keyof typeof OUTCOMES_OF_RECORDS;
    actor: string;
    subject: string;
    request: string;
  }
>;

export function auditFilters(search: Record<string, unknown>): AuditFilters {
  const { kind, outcome, actor, subject, request } = search;
  return kept({
    ...days(search),
    kind: isOneOf(KINDS_OF_RECORDS, kind) ? kind : undefined,
    outcome: isOneOf(OUTCOMES_OF_RECORDS, outcome) ? outcome : undefined,
    actor: asWord(actor),
    subject: asWord(subject),
    request: typeof request === "string" && /^[\w.:-]{1,100}$/.test(request) ? request : undefined,
  });
}

export const asQuery = (filters: AuditFilters) => ({
  ...asSpan(filters),
  kind: filters.kind,
  outcome: filters.outcome,
  actor: filters.actor,
  subject: filters.subject,
  request_id: filters.request,
});

function asWord(value: unknown): string | undefined {
  return typeof value === "string" && /^[a-z0-9_]{1,40}$/.test(value) ? value : undefined;
}
