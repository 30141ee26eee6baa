import type { Schemas } from "../../api/client";
import { isOneOf, kept } from "../search";
import { VERIFICATIONS } from "../users/filters";

export type DocumentFilters = { state?: Schemas["VerificationState"] };

export const documentFilters = ({ state }: Record<string, unknown>): DocumentFilters =>
  kept({ state: isOneOf(VERIFICATIONS, state) ? state : undefined });
