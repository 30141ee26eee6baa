// What each role may do, to offer nobody what the API would refuse them. The API decides all the same.

import type { Schemas } from "../api/client";

export type Role = Schemas["Role"];
export type Action = Schemas["Action"];

const ADMINS: ReadonlySet<Action> = new Set<Action>([
  "close_account",
  "set_tier",
  "rebuild_account",
  "rebuild_projection",
  "verify_email",
  "remove_second_factor",
  "request_role",
  "grant_role",
  "reject_role",
  "run_audit",
  "read_auth_events",
  "read_request_records",
  "reverse_transfer",
  "request_rules",
  "set_rules",
  "manage_webhooks",
  "retire_sink",
]);

export const isStaff = (role: Role | undefined) => role === "operator" || role === "admin";

export function may(role: Role | undefined, action: Action): boolean {
  return role === "admin" || (role === "operator" && !ADMINS.has(action));
}
