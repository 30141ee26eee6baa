import { Alert, Button, Checkbox, Group, PasswordInput, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { cache } from "../api/cache";
import { api, type Schemas } from "../api/client";
import { answerTo, fieldErrors, Problem } from "../api/problem";
import { ConfirmButton } from "../ui/ConfirmButton";
import { CopyText } from "../ui/CopyText";
import { FormProblem } from "../ui/FormProblem";
import { MoreRows } from "../ui/MoreRows";
import { Section } from "../ui/Section";
import { Nothing, Shown } from "../ui/Shown";
import { When } from "../ui/When";

type Scope = Schemas["Scope"];

const SCOPES: Scope[] = [
  "accounts:read",
  "accounts:write",
  "transfers:read",
  "transfers:write",
  "disputes:read",
  "disputes:write",
  "notifications:read",
  "notifications:write",
  "events:read",
  "webhooks:read",
  "webhooks:write",
];

export function ApiKeys() {
  return (
    <Stack>
      <NewKey />
      <Keys />
    </Stack>
  );
}

function NewKey() {
  const form = useForm({ initialValues: { name: "", scopes: ["transfers:read"] as Scope[], password: "", code: "" } });
  const make = useMutation({
    mutationFn: ({ code, ...body }: typeof form.values) =>
      answerTo(api.POST("/v1/auth/api-keys", { body: { ...body, second_factor: code.trim() || null } })),
    onSuccess: () => {
      form.reset();
      cache.invalidateQueries({ queryKey: ["api-keys"] });
    },
    onError: (error) => form.setErrors(fieldErrors(error, ["name", "scopes", "password"])),
  });
  const asksForCode = make.error instanceof Problem && make.error.code.startsWith("second_factor");
  return (
    <Section title="New API key" says="A program with a key acts for you, as far as its scopes go. It does not expire.">
      <form onSubmit={form.onSubmit((typed) => make.mutate(typed))} noValidate>
        <Stack maw={560}>
          <TextInput label="Name" description="What it is for." required {...form.getInputProps("name")} />
          <Checkbox.Group label="Scopes" required {...form.getInputProps("scopes")}>
            <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="xs" mt="xs">
              {SCOPES.map((scope) => (
                <Checkbox key={scope} value={scope} label={scope} />
              ))}
            </SimpleGrid>
          </Checkbox.Group>
          <PasswordInput
            label="Your password"
            autoComplete="current-password"
            required
            {...form.getInputProps("password")}
          />
          {(asksForCode || form.values.code !== "") && (
            <TextInput label="Code" autoComplete="one-time-code" required {...form.getInputProps("code")} />
          )}
          <FormProblem error={make.error} shown={Object.keys(form.errors)} />
          <Button type="submit" loading={make.isPending}>
            Make the key
          </Button>
        </Stack>
      </form>
      {make.data && (
        <Alert color="green" title="Keep this key" mt="md" role="status">
          <Text size="sm" mb="xs">
            It is shown once.
          </Text>
          <CopyText text={make.data.key} label="API key" />
        </Alert>
      )}
    </Section>
  );
}

function Keys() {
  const pages = useInfiniteQuery({
    queryKey: ["api-keys"],
    queryFn: ({ pageParam }) =>
      answerTo(api.GET("/v1/auth/api-keys", { params: { query: { limit: 20, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  const revoke = useMutation({
    mutationFn: (id: string) =>
      answerTo(api.DELETE("/v1/auth/api-keys/{api_key_id}", { params: { path: { api_key_id: id } } })),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["api-keys"] }),
  });
  return (
    <Section title="API keys" says="A key that you revoke ends at once.">
      <FormProblem error={revoke.error} />
      <Shown query={pages}>
        {(found) => {
          const keys = found.pages.flatMap((page) => page.items);
          if (keys.length === 0) return <Nothing says="You have no API keys." />;
          return (
            <Stack>
              {keys.map((key) => (
                <Group key={key.id} justify="space-between" gap="sm">
                  <Stack gap={2} style={{ flex: 1, minWidth: 200 }}>
                    <Text fw={550}>{key.name}</Text>
                    <Text size="sm" c="dimmed">
                      {key.scopes.join(", ")} · made <When at={key.created_at} size="sm" /> ·{" "}
                      {key.last_used_at ? (
                        <>
                          last used <When at={key.last_used_at} size="sm" />
                        </>
                      ) : (
                        "never used"
                      )}
                    </Text>
                  </Stack>
                  {key.revoked_at ? (
                    <Text size="sm" c="dimmed">
                      Revoked
                    </Text>
                  ) : (
                    <ConfirmButton label="Revoke" confirm="Revoke for good" act={() => revoke.mutate(key.id)} />
                  )}
                </Group>
              ))}
              <MoreRows pages={pages} />
            </Stack>
          );
        }}
      </Shown>
    </Section>
  );
}
