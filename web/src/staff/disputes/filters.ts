// The filter of the list of disputes, as it stands in its address.

import type { Schemas } from "../../api/client";
import { isOneOf } from "../search";

export type DisputeState = Schemas["DisputeState"];

export const DISPUTES: Record<DisputeState, string> = {
  open: "Open",
  reversing: "Being reversed",
  reversed: "Reversed",
  reversal_failed: "Reversal failed",
  rejected: "Rejected",
  expired: "Expired",
};

export const disputeFilters = ({ state }: Record<string, unknown>): { state?: DisputeState } =>
  isOneOf(DISPUTES, state) ? { state } : {};
