import { Button, NativeSelect, Paper, SimpleGrid, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { type ReactNode, useState } from "react";
import { asOptions } from "./search";

const TYPED_MS = 400;

type FilterBarProps = { isFiltered: boolean; clear: () => void; children: ReactNode };

/** The filters of a list, which stand in its address, and the way back to all of it. */
export function FilterBar({ isFiltered, clear, children }: FilterBarProps) {
  const [round, setRound] = useState(0);
  return (
    <Paper withBorder p="md" mb="md" component="search" aria-label="Filters">
      <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="sm" style={{ alignItems: "end" }} key={round}>
        {children}
        {isFiltered && (
          <Button
            variant="subtle"
            onClick={() => {
              clear();
              setRound(round + 1);
            }}
          >
            Show all
          </Button>
        )}
      </SimpleGrid>
    </Paper>
  );
}

type ChoiceProps = {
  label: string;
  names: Record<string, string>;
  value?: string;
  set: (value: string) => void;
};

const ALL = { value: "", label: "All" };

export function Choice({ label, names, value, set }: ChoiceProps) {
  return (
    <NativeSelect
      label={label}
      data={[ALL, ...asOptions(names)]}
      value={value ?? ""}
      onChange={(event) => set(event.currentTarget.value)}
    />
  );
}

type TypedProps = { label: string; hint: string; value?: string; set: (typed: string) => void };

/** A filter that is typed. It applies a moment later. */
export function Typed({ label, hint, value, set }: TypedProps) {
  const later = useDebouncedCallback(set, TYPED_MS);
  return (
    <TextInput
      label={label}
      placeholder={hint}
      defaultValue={value ?? ""}
      onChange={(event) => later(event.currentTarget.value.trim())}
    />
  );
}

type DayProps = { label: string; value?: string; set: (day: string) => void };

export function Day({ label, value, set }: DayProps) {
  return (
    <TextInput label={label} type="date" value={value ?? ""} onChange={(event) => set(event.currentTarget.value)} />
  );
}
