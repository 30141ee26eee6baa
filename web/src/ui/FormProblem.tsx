import { Alert } from "@mantine/core";
import { Problem, textOf } from "../api/problem";

/** Why a form was not accepted, unless each of its inputs says so itself. */
export function FormProblem({ error, shown = [] }: { error: unknown; shown?: readonly string[] }) {
  if (!error) return null;
  if (error instanceof Problem && error.fields.size > 0 && shown.length >= error.fields.size) return null;
  const rest =
    error instanceof Problem && error.fields.size > 0
      ? [...error.fields].map(([field, message]) => `${field}: ${message}`).join(" · ")
      : textOf(error);
  return (
    <Alert color="red" role="alert">
      {rest}
    </Alert>
  );
}
