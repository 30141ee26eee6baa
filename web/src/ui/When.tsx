import { Text, type TextProps } from "@mantine/core";

const SHORT: Intl.DateTimeFormatOptions = { dateStyle: "medium", timeStyle: "short" };
const EXACT: Intl.DateTimeFormatOptions = { dateStyle: "medium", timeStyle: "medium" };

/** A moment in the viewer's zone. On hover, and for screen readers, in UTC as well. */
export function When({ at, exact = false, ...text }: { at: string; exact?: boolean } & TextProps) {
  const moment = new Date(at);
  return (
    <Text span {...text}>
      <time dateTime={at} title={utcText(moment)}>
        {new Intl.DateTimeFormat(undefined, exact ? EXACT : SHORT).format(moment)}
      </time>
    </Text>
  );
}

export function utcText(moment: Date): string {
  return `${moment.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
