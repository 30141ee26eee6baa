// The addresses of staff's pages, below /staff. Each page is loaded when somebody first opens it.

import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { staff } from "../shell/frame";
import { auditFilters } from "./audit/filters";
import { batchFilters } from "./batches/filters";
import { caseFilters } from "./cases/filters";
import { letterFilters } from "./dead-letters/filters";
import { disputeFilters } from "./disputes/filters";
import { documentFilters } from "./documents/filters";
import { isOneOf } from "./search";
import { PERIODS, type PeriodName } from "./stats/periods";
import { tierFilters } from "./tier-requests/filters";
import { allFilters } from "./transactions/filters";
import { userFilters } from "./users/filters";

const parent = { getParentRoute: () => staff };

const overview = createRoute({
  ...parent,
  path: "/",
  component: lazyRouteComponent(() => import("./overview/OverviewPage"), "OverviewPage"),
});

const attention = createRoute({
  ...parent,
  path: "/attention",
  component: lazyRouteComponent(() => import("./attention/AttentionPage"), "AttentionPage"),
});

const reviews = createRoute({
  ...parent,
  path: "/reviews",
  component: lazyRouteComponent(() => import("./reviews/ReviewsPage"), "ReviewsPage"),
});

const disputes = createRoute({
  ...parent,
  path: "/disputes",
  validateSearch: disputeFilters,
  component: lazyRouteComponent(() => import("./disputes/DisputesPage"), "DisputesPage"),
});

const cases = createRoute({
  ...parent,
  path: "/cases",
  validateSearch: caseFilters,
  component: lazyRouteComponent(() => import("./cases/CasesPage"), "CasesPage"),
});

const batches = createRoute({
  ...parent,
  path: "/batches",
  validateSearch: batchFilters,
  component: lazyRouteComponent(() => import("./batches/AllBatchesPage"), "AllBatchesPage"),
});

const batch = createRoute({
  ...parent,
  path: "/batches/$batchId",
  component: lazyRouteComponent(() => import("./batches/AnyBatchPage"), "AnyBatchPage"),
});

const documents = createRoute({
  ...parent,
  path: "/documents",
  validateSearch: documentFilters,
  component: lazyRouteComponent(() => import("./documents/DocumentsPage"), "DocumentsPage"),
});

const tierRequests = createRoute({
  ...parent,
  path: "/tier-requests",
  validateSearch: tierFilters,
  component: lazyRouteComponent(() => import("./tier-requests/TierRequestsPage"), "TierRequestsPage"),
});

const roleRequests = createRoute({
  ...parent,
  path: "/role-requests",
  component: lazyRouteComponent(() => import("./role-requests/RoleRequestsPage"), "RoleRequestsPage"),
});

const deadLetters = createRoute({
  ...parent,
  path: "/dead-letters",
  validateSearch: letterFilters,
  component: lazyRouteComponent(() => import("./dead-letters/DeadLettersPage"), "DeadLettersPage"),
});

const recovery = createRoute({
  ...parent,
  path: "/recovery",
  component: lazyRouteComponent(() => import("./recovery/RecoveryPage"), "RecoveryPage"),
});

const transactions = createRoute({
  ...parent,
  path: "/transactions",
  validateSearch: allFilters,
  component: lazyRouteComponent(() => import("./transactions/AllTransactionsPage"), "AllTransactionsPage"),
});

const users = createRoute({
  ...parent,
  path: "/users",
  validateSearch: userFilters,
  component: lazyRouteComponent(() => import("./users/UsersPage"), "UsersPage"),
});

const user = createRoute({
  ...parent,
  path: "/users/$customerId",
  component: lazyRouteComponent(() => import("./users/UserPage"), "UserPage"),
});

const account = createRoute({
  ...parent,
  path: "/accounts/$accountId",
  component: lazyRouteComponent(() => import("./users/AccountPage"), "AccountPage"),
});

const books = createRoute({
  ...parent,
  path: "/books",
  component: lazyRouteComponent(() => import("./books/BooksPage"), "BooksPage"),
});

const audit = createRoute({
  ...parent,
  path: "/audit",
  validateSearch: auditFilters,
  component: lazyRouteComponent(() => import("./audit/AuditPage"), "AuditPage"),
});

const stats = createRoute({
  ...parent,
  path: "/stats",
  validateSearch: ({ period }: Record<string, unknown>): { period?: PeriodName } =>
    isOneOf(PERIODS, period) ? { period } : {},
  component: lazyRouteComponent(() => import("./stats/StatsPage"), "StatsPage"),
});

export const staffTree = staff.addChildren([
  overview,
  attention,
  reviews,
  disputes,
  cases,
  batches,
  batch,
  documents,
  tierRequests,
  roleRequests,
  deadLetters,
  recovery,
  transactions,
  users,
  user,
  account,
  books,
  audit,
  stats,
]);
