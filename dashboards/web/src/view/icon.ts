// Small pictures. All say something that words beside them say too.

import { h, type Described } from "../dom.ts";

const PATHS = {
  grip: "M5 3.5h.01M5 8h.01M5 12.5h.01M11 3.5h.01M11 8h.01M11 12.5h.01",
  plus: "M8 3v10M3 8h10",
  warning: "M8 2.5 14.5 13.5h-13zM8 6.5v3.5M8 12h.01",
  cut: "M2 8h4M10 8h4M7 4.5 9 11.5",
  link: "M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  note: "M3.5 4.5h9M3.5 8h9M3.5 11.5h5",
} as const;

export function icon(name: keyof typeof PATHS): Described {
  return h(
    "svg",
    { class: `icon icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    h("path", { d: PATHS[name] }),
  );
}
