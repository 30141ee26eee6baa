import { Alert, Button, Group, Skeleton, Stack, Text } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { textOf } from "../api/problem";

type ShownProps<T> = {
  /** What the page waits for. */
  query: UseQueryResult<T>;
  /** What stands there while it waits. */
  rows?: number;
  children: (found: T) => ReactNode;
};

/** What was read; until then its outline; or why it could not be read, with another try. */
export function Shown<T>({ query, rows = 3, children }: ShownProps<T>) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isError) return <CannotRead error={query.error} again={() => query.refetch()} isBusy={query.isFetching} />;
  return (
    <Stack gap="sm" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: outlines have no identity
        <Skeleton key={row} height={44} />
      ))}
    </Stack>
  );
}

type CannotReadProps = { error: unknown; again: () => void; isBusy?: boolean };

export function CannotRead({ error, again, isBusy }: CannotReadProps) {
  return (
    <Alert color="red" title="This could not be read" role="alert">
      <Group justify="space-between">
        <Text size="sm">{textOf(error)}</Text>
        <Button size="xs" variant="default" onClick={again} loading={isBusy}>
          Try again
        </Button>
      </Group>
    </Alert>
  );
}

/** What a list shows that has nothing. `children`: what to do about it. */
export function Nothing({ says, children }: { says: string; children?: ReactNode }) {
  return (
    <Stack align="center" py="xl" gap="sm">
      <Text c="dimmed" ta="center">
        {says}
      </Text>
      {children}
    </Stack>
  );
}
