// The routes that others hang from: the root, what needs a sign-in, and what needs a role of staff.

import {
  createRootRoute,
  createRoute,
  lazyRouteComponent,
  Outlet,
  type ParsedLocation,
  redirect,
} from "@tanstack/react-router";
import { cache } from "../api/cache";
import { find } from "../api/session";
import { meQuery } from "../customers/queries";
import { isIdOf } from "../staff/search";
import { PageMissing } from "./PageFailed";
import { Shell } from "./Shell";

/** For pages of somebody: whoever is not signed in goes to the sign-in, and comes back. */
async function signedIn({ location }: { location: ParsedLocation }): Promise<void> {
  if (cache.getQueryData(meQuery.queryKey) !== undefined) return;
  if (!(await find())) throw redirect({ to: "/login", search: { next: location.href } });
  await cache.ensureQueryData(meQuery);
}

export const root = createRootRoute({ component: Outlet, notFoundComponent: PageMissing });

export const customers = createRoute({
  getParentRoute: () => root,
  id: "customers",
  beforeLoad: signedIn,
  component: Shell,
});

/** `open`: the transfer whose window is open over the page, whichever page that is. */
export const staff = createRoute({
  getParentRoute: () => customers,
  path: "/staff",
  validateSearch: ({ open }: Record<string, unknown>): { open?: string } => (isIdOf("trf", open) ? { open } : {}),
  component: lazyRouteComponent(() => import("../staff/StaffOnly"), "StaffOnly"),
});
