import { getRouteApi } from "@tanstack/react-router";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import { ListOf } from "../../ui/ListOf";
import { listQuery, PAGE } from "../../ui/listQuery";
import { PageTitle } from "../../ui/PageTitle";
import { Choice, Day, FilterBar, Typed } from "../FilterBar";
import { useMay } from "../useMay";
import { type AuditFilters, asQuery, auditFilters, KINDS_OF_RECORDS, OUTCOMES_OF_RECORDS } from "./filters";
import { RecordRow } from "./RecordRow";

const route = getRouteApi("/customers/staff/audit");

const auditQuery = (filters: AuditFilters) =>
  listQuery(["audit-records", filters], (cursor) =>
    answerTo(api.GET("/v1/admin/audit-records", { params: { query: { ...asQuery(filters), limit: PAGE, cursor } } })),
  );

export function AuditPage() {
  const filters = auditFilters(route.useSearch());
  const navigate = route.useNavigate();
  const may = useMay();
  const filter = (changed: { [Name in keyof AuditFilters]: unknown }) =>
    navigate({ search: auditFilters({ ...filters, ...changed }), replace: true });
  const { "auth.": signIns, ...others } = KINDS_OF_RECORDS;
  const kinds = may("read_auth_events") ? { ...others, "auth.": signIns } : others;
  return (
    <>
      <PageTitle title="Audit trail" says="Who did what, what was refused, and what it changed. Nobody can edit it." />
      <FilterBar isFiltered={Object.keys(filters).length > 0} clear={() => navigate({ search: {}, replace: true })}>
        <Choice label="About" names={kinds} value={filters.kind} set={(kind) => filter({ kind })} />
        <Choice
          label="Outcome"
          names={OUTCOMES_OF_RECORDS}
          value={filters.outcome}
          set={(outcome) => filter({ outcome })}
        />
        <Typed label="Subject" hint="acc_…, cas_…" value={filters.subject} set={(subject) => filter({ subject })} />
        <Typed label="Who" hint="cus_…" value={filters.actor} set={(actor) => filter({ actor })} />
        <Typed label="Request" hint="its id" value={filters.request} set={(request) => filter({ request })} />
        <Day label="From" value={filters.from} set={(from) => filter({ from })} />
        <Day label="To" value={filters.to} set={(to) => filter({ to })} />
      </FilterBar>
      <ListOf query={auditQuery(filters)} nothing="No record is like this." label="Records">
        {(record) => <RecordRow key={record.id} record={record} />}
      </ListOf>
    </>
  );
}
