import { Stack, Switch } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { cache } from "../api/cache";
import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";
import { FormProblem } from "../ui/FormProblem";
import { Section } from "../ui/Section";
import { Shown } from "../ui/Shown";

type Choices = Schemas["NotificationSettingsOut"];

const TYPES: Record<keyof Choices["email"], [string, string]> = {
  transfers: ["Transfers", "Each one that ends, and each that reaches you. There may be many."],
  disputes: ["Disputes", "What the other party says, and how it ends."],
  accounts: ["Accounts", "Frozen, open again, closed, or with a higher tier."],
  identity: ["Identity", "How the check of your document ends."],
};

const KEY = ["notification-settings"];

export function NotificationChoices() {
  const choices = useQuery({ queryKey: KEY, queryFn: () => answerTo(api.GET("/v1/notification-settings")) });
  const choose = useMutation({
    mutationFn: (body: Choices) => answerTo(api.PUT("/v1/notification-settings", { body })),
    onSuccess: (chosen) => cache.setQueryData(KEY, chosen),
  });
  return (
    <Section title="E-mail" says="Everything stands under Notifications. Choose what comes by e-mail as well.">
      <FormProblem error={choose.error} />
      <Shown query={choices}>
        {({ email }) => (
          <Stack>
            {(Object.entries(TYPES) as [keyof typeof TYPES, [string, string]][]).map(([name, [label, says]]) => (
              <Switch
                key={name}
                label={label}
                description={says}
                checked={email[name]}
                disabled={choose.isPending}
                onChange={(event) => choose.mutate({ email: { ...email, [name]: event.currentTarget.checked } })}
              />
            ))}
          </Stack>
        )}
      </Shown>
    </Section>
  );
}
