import { Button, Group, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useMutation } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { cache } from "../api/cache";
import { api } from "../api/client";
import { answerTo, fieldErrors, Problem } from "../api/problem";
import { begin } from "../api/session";
import { TextLink } from "../ui/ButtonLink";
import { FormProblem } from "../ui/FormProblem";
import { EntryCard } from "./EntryCard";

const route = getRouteApi("/login");

const NEEDS_CODE = new Set(["second_factor_required", "second_factor_invalid"]);

export function LoginPage() {
  const { next } = route.useSearch();
  const router = useRouter();
  const form = useForm({ initialValues: { email: "", password: "", code: "" } });
  const signIn = useMutation({
    mutationFn: ({ email, password, code }: typeof form.values) =>
      answerTo(api.POST("/v1/auth/browser/login", { body: { email, password, second_factor: code.trim() || null } })),
    onSuccess: (session) => {
      cache.clear();
      begin(session);
      router.history.push(`${router.basepath}${next ?? "/dashboard"}`);
    },
    onError: (error) => form.setErrors(fieldErrors(error, ["email", "password"])),
  });
  const code = signIn.error instanceof Problem ? signIn.error.code : null;
  const asksForCode = form.values.code !== "" || (code !== null && NEEDS_CODE.has(code));
  useEffect(() => {
    if (code === "second_factor_required") document.getElementById("code")?.focus();
  }, [code]);
  return (
    <EntryCard
      title="Sign in"
      says={next ? "Your session has ended. Sign in to go on where you were." : "To your accounts at Remit."}
    >
      <form onSubmit={form.onSubmit((typed) => signIn.mutate(typed))} noValidate>
        <Stack>
          <TextInput
            label="E-mail address"
            type="email"
            autoComplete="username"
            required
            {...form.getInputProps("email")}
          />
          <PasswordInput
            label="Password"
            autoComplete="current-password"
            required
            {...form.getInputProps("password")}
          />
          {asksForCode && (
            <TextInput
              id="code"
              label="Code"
              description="Of your authenticator app, or one of your recovery codes."
              autoComplete="one-time-code"
              required
              {...form.getInputProps("code")}
            />
          )}
          {code !== "second_factor_required" && <FormProblem error={signIn.error} shown={Object.keys(form.errors)} />}
          <Button type="submit" loading={signIn.isPending} fullWidth>
            Sign in
          </Button>
        </Stack>
      </form>
      <Group justify="space-between" mt="md">
        <TextLink to="/reset-password" size="sm">
          Forgot your password?
        </TextLink>
        <Text size="sm">
          New here? <TextLink to="/register">Open an account</TextLink>
        </Text>
      </Group>
    </EntryCard>
  );
}
