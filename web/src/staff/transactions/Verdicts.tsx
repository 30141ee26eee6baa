import { Badge, Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Shown } from "../../ui/Shown";
import { When } from "../../ui/When";
import { factTexts } from "../facts";
import { type AnyTransfer, verdictsQuery } from "./queries";

const COLORS: Record<string, string> = { flag: "yellow", review: "yellow", decline: "red" };

/** What the rules said about a transfer, why, and what they saw. */
export function Verdicts({ transfer }: { transfer: AnyTransfer }) {
  const verdicts = useQuery(verdictsQuery(transfer.id));
  return (
    <Shown query={verdicts} rows={1}>
      {({ items }) =>
        items.length === 0 ? (
          <Text size="sm" c="dimmed">
            No rule objected to it.
          </Text>
        ) : (
          <Stack gap="sm">
            {items.map((verdict) => (
              <Stack gap={4} key={verdict.attempt}>
                {verdict.findings.map((finding) => (
                  <Group gap="xs" key={finding.rule} align="flex-start">
                    <Badge variant="light" color={COLORS[finding.answer] ?? "gray"}>
                      {finding.answer}
                    </Badge>
                    <Text size="sm">
                      <b>{finding.rule}</b>: {finding.reason}
                    </Text>
                  </Group>
                ))}
                {factTexts(verdict.facts).map((fact) => (
                  <Text size="sm" c="dimmed" key={fact}>
                    {fact}
                  </Text>
                ))}
                <Text size="sm" c="dimmed">
                  Attempt {verdict.attempt}, <When at={verdict.screened_at} exact size="sm" />
                </Text>
              </Stack>
            ))}
          </Stack>
        )
      }
    </Shown>
  );
}
