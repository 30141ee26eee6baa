import { Table, Text } from "@mantine/core";

type Values = Record<string, unknown> | null | undefined;

export const plain = (value: unknown): string => {
  if (value === undefined || value === null) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};

/** The names of what differs first, then the rest. */
export function changedNames(before: Values, after: Values): { name: string; isChanged: boolean }[] {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  const marked = names.map((name) => ({ name, isChanged: plain(before?.[name]) !== plain(after?.[name]) }));
  return [...marked.filter(({ isChanged }) => isChanged), ...marked.filter(({ isChanged }) => !isChanged)];
}

/** What was, and what is, side by side. What differs stands first and stands out. */
export function Changes({ before, after }: { before: Values; after: Values }) {
  const names = changedNames(before, after);
  if (names.length === 0) return null;
  return (
    <Table withTableBorder verticalSpacing={4} className="changes" layout="fixed">
      <Table.Thead>
        <Table.Tr>
          <Table.Th scope="col">Field</Table.Th>
          <Table.Th scope="col">Before</Table.Th>
          <Table.Th scope="col">After</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {names.map(({ name, isChanged }) => (
          <Table.Tr key={name}>
            <Table.Th scope="row">{name.replaceAll("_", " ")}</Table.Th>
            <Table.Td>
              <Text size="sm" td={isChanged && before?.[name] !== undefined ? "line-through" : undefined}>
                {plain(before?.[name])}
              </Text>
            </Table.Td>
            <Table.Td>
              <Text size="sm" fw={isChanged ? 700 : undefined}>
                {plain(after?.[name])}
              </Text>
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
