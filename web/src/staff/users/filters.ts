// The filters of the list of users. The address that one looks for is none of them: it stands in no URL.

import type { Schemas } from "../../api/client";
import { isOneOf, kept } from "../search";

export const ROLES: Record<Schemas["Role"], string> = { customer: "Customer", operator: "Operator", admin: "Admin" };

export const VERIFICATIONS: Record<Schemas["VerificationState"], string> = {
  pending: "Being checked",
  in_review: "Waits for a person",
  verified: "Verified",
  rejected: "Rejected",
};

export const ACCOUNTS: Record<Schemas["AccountStatus"], string> = {
  active: "Active",
  frozen: "Frozen",
  closed: "Closed",
};

export type UserFilters = Partial<{
  role: Schemas["Role"];
  verification: Schemas["VerificationState"];
  account: Schemas["AccountStatus"];
  disabled: true;
}>;

export const userFilters = ({ role, verification, account, disabled }: Record<string, unknown>): UserFilters =>
  kept({
    role: isOneOf(ROLES, role) ? role : undefined,
    verification: isOneOf(VERIFICATIONS, verification) ? verification : undefined,
    account: isOneOf(ACCOUNTS, account) ? account : undefined,
    disabled: disabled === true ? true : undefined,
  });
