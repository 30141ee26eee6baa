import { getRouteApi } from "@tanstack/react-router";
import { ListOf } from "../../ui/ListOf";
import { PageTitle } from "../../ui/PageTitle";
import { AnyTransferRow } from "./AnyTransferRow";
import { Filters } from "./Filters";
import { allFilters } from "./filters";
import { allTransfersQuery } from "./queries";

const route = getRouteApi("/customers/staff/transactions");

export function AllTransactionsPage() {
  const filters = allFilters(route.useSearch());
  const navigate = route.useNavigate();
  return (
    <>
      <PageTitle title="All transactions" says="Every customer's transfers. Open one to see all that is known of it." />
      <Filters filters={filters} filter={(search) => navigate({ search, replace: true })} />
      <ListOf query={allTransfersQuery(filters)} nothing="No transaction is like this." label="Transactions">
        {(transfer) => <AnyTransferRow key={transfer.id} transfer={transfer} />}
      </ListOf>
    </>
  );
}
