// The pages of staff in the menu, in the order in which somebody needs them at night.

export const STAFF_PAGES = [
  { to: "/staff", label: "Console" },
  { to: "/staff/attention", label: "Needs attention" },
  { to: "/staff/reviews", label: "Reviews" },
  { to: "/staff/disputes", label: "Disputes" },
  { to: "/staff/cases", label: "Cases" },
  { to: "/staff/batches", label: "All batches" },
  { to: "/staff/documents", label: "Documents" },
  { to: "/staff/tier-requests", label: "Tier requests" },
  { to: "/staff/role-requests", label: "Role requests" },
  { to: "/staff/dead-letters", label: "Dead letters" },
  { to: "/staff/recovery", label: "Recovery" },
  { to: "/staff/transactions", label: "All transactions" },
  { to: "/staff/users", label: "Users" },
  { to: "/staff/books", label: "Books" },
  { to: "/staff/audit", label: "Audit trail" },
  { to: "/staff/stats", label: "Statistics" },
] as const;
