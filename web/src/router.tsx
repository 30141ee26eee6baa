// Which address shows which page, and who may see it. Each page is loaded when somebody first opens it.

import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  type ParsedLocation,
  redirect,
} from "@tanstack/react-router";
import { cache } from "./api/cache";
import { find } from "./api/session";
import { meQuery } from "./customers/queries";
import { settingsSection } from "./settings/sections";
import { PageFailed, PageMissing } from "./shell/PageFailed";
import { Shell } from "./shell/Shell";
import { LandingPage } from "./sign-in/LandingPage";
import { safeNext } from "./sign-in/next";
import { transferFilters } from "./transactions/filters";

/** For pages of somebody: whoever is not signed in goes to the sign-in, and comes back. */
async function signedIn({ location }: { location: ParsedLocation }): Promise<void> {
  if (cache.getQueryData(meQuery.queryKey) !== undefined) return;
  if (!(await find())) throw redirect({ to: "/login", search: { next: location.href } });
  await cache.ensureQueryData(meQuery);
}

const root = createRootRoute({ component: Outlet, notFoundComponent: PageMissing });

const landing = createRoute({ getParentRoute: () => root, path: "/", component: LandingPage });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search): { next?: string } => safeNext(search.next),
  component: lazyRouteComponent(() => import("./sign-in/LoginPage"), "LoginPage"),
});

const customers = createRoute({ getParentRoute: () => root, id: "customers", beforeLoad: signedIn, component: Shell });

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
  customers.addChildren([dashboard, transfer, transactions, details, notifications, settings, verifyEmail]),
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
