import "./staff.css";
import { getRouteApi, Outlet } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { useMe } from "../customers/queries";
import { ButtonLink } from "../ui/ButtonLink";
import { PageTitle } from "../ui/PageTitle";
import { Nothing } from "../ui/Shown";
import { isStaff } from "./permissions";

const route = getRouteApi("/customers/staff");

const TransferWindow = lazy(() =>
  import("./transactions/TransferWindow").then((loaded) => ({ default: loaded.TransferWindow })),
);

/** Staff's pages, for staff. A transfer's window opens over whichever of them one is on. */
export function StaffOnly() {
  const me = useMe();
  const { open } = route.useSearch();
  if (!isStaff(me?.role))
    return (
      <>
        <PageTitle title="For staff only" says="Operators and admins work here." />
        <Nothing says="Your account has no role of staff.">
          <ButtonLink to="/dashboard">To your dashboard</ButtonLink>
        </Nothing>
      </>
    );
  return (
    <>
      <Outlet />
      {open !== undefined && (
        <Suspense>
          <TransferWindow transferId={open} />
        </Suspense>
      )}
    </>
  );
}
