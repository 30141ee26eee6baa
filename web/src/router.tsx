// Which address shows which page, and who may see it. Each page is loaded when somebody first opens it.

import { createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { settingsSection } from "./settings/sections";
import { customers, root } from "./shell/frame";
import { PageFailed } from "./shell/PageFailed";
import { LandingPage } from "./sign-in/LandingPage";
import { safeNext } from "./sign-in/next";
import { staffTree } from "./staff/routes";
import { isIdOf } from "./staff/search";
import { transferFilters } from "./transactions/filters";

const landing = createRoute({ getParentRoute: () => root, path: "/", component: LandingPage });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search): { next?: string } => safeNext(search.next),
  component: lazyRouteComponent(() => import("./sign-in/LoginPage"), "LoginPage"),
});

const dashboard = createRoute({
  getParentRoute: () => customers,
  path: "/dashboard",
  component: lazyRouteComponent(() => import("./dashboard/DashboardPage"), "DashboardPage"),
});

const register = createRoute({
  getParentRoute: () => root,
  path: "/register",
  component: lazyRouteComponent(() => import("./sign-in/RegisterPage"), "RegisterPage"),
});

const resetPassword = createRoute({
  getParentRoute: () => root,
  path: "/reset-password",
  component: lazyRouteComponent(() => import("./sign-in/ResetPasswordPage"), "ResetPasswordPage"),
});

const verifyEmail = createRoute({
  getParentRoute: () => customers,
  path: "/verify-email",
  component: lazyRouteComponent(() => import("./sign-in/VerifyEmailPage"), "VerifyEmailPage"),
});

const transfer = createRoute({
  getParentRoute: () => customers,
  path: "/transfer",
  component: lazyRouteComponent(() => import("./transfer/TransferPage"), "TransferPage"),
});

const transactions = createRoute({
  getParentRoute: () => customers,
  path: "/transactions",
  validateSearch: transferFilters,
  component: lazyRouteComponent(() => import("./transactions/TransactionsPage"), "TransactionsPage"),
});

const details = createRoute({
  getParentRoute: () => customers,
  path: "/transactions/$transferId",
  component: lazyRouteComponent(() => import("./transactions/DetailsPage"), "DetailsPage"),
});

const standingOrders = createRoute({
  getParentRoute: () => customers,
  path: "/standing-orders",
  component: lazyRouteComponent(() => import("./standing-orders/OrdersPage"), "OrdersPage"),
});

const newStandingOrder = createRoute({
  getParentRoute: () => customers,
  path: "/standing-orders/new",
  component: lazyRouteComponent(() => import("./standing-orders/NewOrderPage"), "NewOrderPage"),
});

const standingOrder = createRoute({
  getParentRoute: () => customers,
  path: "/standing-orders/$orderId",
  component: lazyRouteComponent(() => import("./standing-orders/OrderPage"), "OrderPage"),
});

const batches = createRoute({
  getParentRoute: () => customers,
  path: "/batches",
  component: lazyRouteComponent(() => import("./batches/BatchesPage"), "BatchesPage"),
});

const newBatch = createRoute({
  getParentRoute: () => customers,
  path: "/batches/new",
  component: lazyRouteComponent(() => import("./batches/NewBatchPage"), "NewBatchPage"),
});

const batch = createRoute({
  getParentRoute: () => customers,
  path: "/batches/$batchId",
  component: lazyRouteComponent(() => import("./batches/BatchPage"), "BatchPage"),
});

const statements = createRoute({
  getParentRoute: () => customers,
  path: "/statements",
  validateSearch: ({ account }: Record<string, unknown>): { account?: string } =>
    isIdOf("acc", account) ? { account } : {},
  component: lazyRouteComponent(() => import("./statements/StatementsPage"), "StatementsPage"),
});

const disputes = createRoute({
  getParentRoute: () => customers,
  path: "/disputes",
  component: lazyRouteComponent(() => import("./disputes/DisputesPage"), "DisputesPage"),
});

const dispute = createRoute({
  getParentRoute: () => customers,
  path: "/disputes/$disputeId",
  component: lazyRouteComponent(() => import("./disputes/DisputePage"), "DisputePage"),
});

const limits = createRoute({
  getParentRoute: () => customers,
  path: "/limits",
  component: lazyRouteComponent(() => import("./limits/LimitsPage"), "LimitsPage"),
});

const notifications = createRoute({
  getParentRoute: () => customers,
  path: "/notifications",
  component: lazyRouteComponent(() => import("./notifications/NotificationsPage"), "NotificationsPage"),
});

const settings = createRoute({
  getParentRoute: () => customers,
  path: "/settings",
  validateSearch: settingsSection,
  component: lazyRouteComponent(() => import("./settings/SettingsPage"), "SettingsPage"),
});

const tree = root.addChildren([
  landing,
  login,
  register,
  resetPassword,
  customers.addChildren([
    dashboard,
    transfer,
    transactions,
    details,
    standingOrders,
    newStandingOrder,
    standingOrder,
    batches,
    newBatch,
    batch,
    statements,
    disputes,
    dispute,
    limits,
    notifications,
    settings,
    verifyEmail,
    staffTree,
  ]),
]);

export const router = createRouter({
  routeTree: tree,
  basepath: "/app",
  defaultPreload: "intent",
  defaultErrorComponent: PageFailed,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
