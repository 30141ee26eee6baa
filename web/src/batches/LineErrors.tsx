import { Alert, Table, Text } from "@mantine/core";
import { Problem } from "../api/problem";
import { FormProblem } from "../ui/FormProblem";

const SHOWN = 100;

/** Why a batch was refused as a whole: each error with its line, column and what is wrong. */
export function LineErrors({ error }: { error: unknown }) {
  const lines = error instanceof Problem ? error.errors.filter(({ line }) => line != null) : [];
  if (lines.length === 0) return <FormProblem error={error} />;
  return (
    <Alert
      color="red"
      role="alert"
      title={`Nothing was sent: ${lines.length} ${lines.length === 1 ? "error" : "errors"}`}
    >
      <Table verticalSpacing={4}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Line</Table.Th>
            <Table.Th scope="col">Column</Table.Th>
            <Table.Th scope="col">What is wrong</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {lines.slice(0, SHOWN).map(({ line, field, message }) => (
            <Table.Tr key={`${line} ${field} ${message}`}>
              <Table.Td>{line}</Table.Td>
              <Table.Td style={{ overflowWrap: "anywhere" }}>{columnOf(field)}</Table.Td>
              <Table.Td>{message}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {lines.length > SHOWN && (
        <Text size="sm" mt="xs">
          and {lines.length - SHOWN} more
        </Text>
      )}
    </Alert>
  );
}

const columnOf = (field: string) => field.replace(/^body\.items\.\d+\.?/, "") || "the whole line";
