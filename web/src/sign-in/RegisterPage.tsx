import { Button, NativeSelect, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useRef } from "react";
import { currenciesQuery } from "../accounts/queries";
import { cache } from "../api/cache";
import { api } from "../api/client";
import { answerTo, fieldErrors } from "../api/problem";
import { begin } from "../api/session";
import { DOCUMENT_TYPES, type DocumentType } from "../customers/documents";
import { TextLink } from "../ui/ButtonLink";
import { FormProblem } from "../ui/FormProblem";
import { EntryCard } from "./EntryCard";

const NAMES = ["full_name", "email", "password", "currency", "type", "number"] as const;

export function RegisterPage() {
  const navigate = useNavigate();
  const currencies = useQuery(currenciesQuery);
  const key = useRef(crypto.randomUUID());
  const form = useForm({
    initialValues: { full_name: "", email: "", password: "", currency: "", type: "NIN" as DocumentType, number: "" },
    // What was asked for under one key stays as it was.
    onValuesChange: () => {
      key.current = crypto.randomUUID();
    },
  });
  const register = useMutation({
    mutationFn: async ({ type, number, currency, ...who }: typeof form.values) => {
      const made = await answerTo(
        api.POST("/v1/auth/register", {
          params: { header: { "Idempotency-Key": key.current } },
          body: { ...who, currency: currency || null, identity_document: { type, number } },
        }),
      );
      // The page has a session of its own, in cookies: the one that comes with a registration is not needed.
      const held = { Authorization: `Bearer ${made.access_token}` };
      await api.POST("/v1/auth/logout", { headers: held, credentials: "omit" }).catch(() => undefined);
      const { email, password } = who;
      const session = await answerTo(api.POST("/v1/auth/browser/login", { body: { email, password } }));
      cache.clear();
      begin(session);
    },
    onSuccess: () => navigate({ to: "/dashboard" }),
    onError: (error) => form.setErrors(fieldErrors(error, NAMES)),
  });
  const chosen = form.values.currency || currencies.data?.default_currency || "";
  return (
    <EntryCard title="Open an account" says="Money can come in at once. It can leave when your identity is verified.">
      <form onSubmit={form.onSubmit((typed) => register.mutate(typed))} noValidate>
        <Stack>
          <TextInput label="Full name" autoComplete="name" required {...form.getInputProps("full_name")} />
          <TextInput
            label="E-mail address"
            type="email"
            autoComplete="username"
            required
            {...form.getInputProps("email")}
          />
          <PasswordInput
            label="Password"
            description="At least 8 characters, and hard to guess."
            autoComplete="new-password"
            required
            {...form.getInputProps("password")}
          />
          <NativeSelect
            label="Currency of your first account"
            data={currencies.data?.items.map(({ code }) => code) ?? []}
            {...form.getInputProps("currency")}
            value={chosen}
          />
          <NativeSelect label="Identity document" data={DOCUMENT_TYPES} {...form.getInputProps("type")} />
          <TextInput label="Number of the document" autoComplete="off" required {...form.getInputProps("number")} />
          <FormProblem error={register.error} shown={Object.keys(form.errors)} />
          <Button type="submit" loading={register.isPending} fullWidth>
            Open an account
          </Button>
        </Stack>
      </form>
      <Text size="sm" mt="md">
        Registered already? <TextLink to="/login">Sign in</TextLink>
      </Text>
    </EntryCard>
  );
}
