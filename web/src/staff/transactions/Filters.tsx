import { Checkbox, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { currenciesQuery, useCurrency } from "../../accounts/queries";
import { decimalText, readAmount } from "../../money/money";
import { KINDS, STATES } from "../../transactions/filters";
import { Choice, Day, FilterBar, Typed } from "../FilterBar";
import { type AllFilters, allFilters, UNMOVED } from "./filters";

type Change = (changed: { [Name in keyof AllFilters]: unknown }) => void;

type FiltersProps = { filters: AllFilters; filter: (next: AllFilters) => void };

/** All filters of the list. What does not fit applies not at all. */
export function Filters({ filters, filter }: FiltersProps) {
  const currencies = useQuery(currenciesQuery).data?.items ?? [];
  const set: Change = (changed) => filter(allFilters({ ...filters, ...changed }));
  return (
    <FilterBar isFiltered={Object.keys(filters).length > 0} clear={() => filter({})}>
      <Choice label="State" names={STATES} value={filters.state} set={(state) => set({ state })} />
      <Choice label="Kind" names={KINDS} value={filters.kind} set={(kind) => set({ kind })} />
      <Choice
        label="Currency"
        names={Object.fromEntries(currencies.map(({ code }) => [code, code]))}
        value={filters.currency}
        set={(currency) => set({ currency, least: null, most: null })}
      />
      <AmountInput label="At least" name="least" filters={filters} set={set} />
      <AmountInput label="At most" name="most" filters={filters} set={set} />
      <Day label="From" value={filters.from} set={(from) => set({ from })} />
      <Day label="To" value={filters.to} set={(to) => set({ to })} />
      <Typed label="Account" hint="acc_…" value={filters.account} set={(account) => set({ account })} />
      <Typed label="Requested by" hint="cus_…" value={filters.owner} set={(owner) => set({ owner })} />
      <Typed label="Transaction id" hint="INV-42" value={filters.reference} set={(reference) => set({ reference })} />
      <Choice label="Unchanged for" names={UNMOVED} value={filters.unmoved} set={(unmoved) => set({ unmoved })} />
      <Checkbox
        label="Needs attention"
        pb={8}
        checked={filters.attention ?? false}
        onChange={(event) => set({ attention: event.currentTarget.checked })}
      />
    </FilterBar>
  );
}

type AmountInputProps = { label: string; name: "least" | "most"; filters: AllFilters; set: Change };

/** An amount as people write it. It needs a currency, which says how many digits it has. */
function AmountInput({ label, name, filters, set }: AmountInputProps) {
  const currency = useCurrency(filters.currency);
  const [objection, setObjection] = useState<string | null>(null);
  const minor = filters[name];
  function read(text: string) {
    if (!currency) return;
    const amount = text.trim() === "" ? { minor: null } : readAmount(text, currency);
    setObjection("objection" in amount ? amount.objection : null);
    if ("minor" in amount) set({ [name]: amount.minor });
  }
  return (
    <TextInput
      key={`${filters.currency} ${minor}`}
      label={label}
      placeholder={currency ? "" : "Choose a currency"}
      disabled={!currency}
      inputMode="decimal"
      defaultValue={currency && minor ? decimalText(minor, currency.digits) : ""}
      error={objection}
      onBlur={(event) => read(event.currentTarget.value)}
      onKeyDown={(event) => event.key === "Enter" && read(event.currentTarget.value)}
    />
  );
}
