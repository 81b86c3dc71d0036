// Types of nbad.js. The messages are those of docs/asyncapi.json.

export interface Quantiles { p10: number; p50: number; p90: number }
export interface Side { team_id: number; tricode: string; name: string; score: number }
export interface Forecast { home_win: number; margin: Quantiles; total: Quantiles; model: string }
export interface Play {
  number: number; period: number; clock_s: number; kind: string; subkind: string;
  team_id: number; person_id: number; player: string | null; description: string;
  home: number; away: number; time: string | null;
}
export interface Game {
  game_id: string;
  status: "scheduled" | "live" | "halftime" | "final" | "postponed";
  period: number;
  clock_s: number;
  start_utc: string | null;
  home: Side;
  away: Side;
  differential: number;
  pattern: number[];
  forecast: Forecast | null;
  event: Play | null;
  corrected: boolean;
  source_time: string | null;
  received_at: string;
  /** In a snapshot: [elapsed_s, home_win, margin p10, p50, p90, total p50]. */
  series?: [number, number, number, number, number, number][];
}
export type FeedState = "ok" | "stale" | "down";
export type Message =
  | { type: "welcome"; version: string; protocol: "nbad.v1"; epoch: string; heartbeat_s: number; feed: FeedState; feed_age_s: number }
  | { type: "snapshot"; epoch: string; seq: number; feed: FeedState; feed_age_s: number; games: Game[] }
  | { type: "batch"; epoch: string; seq: number; tick: number; messages: Game[]; timing_ms: Record<string, number>; conflated?: number }
  | { type: "heartbeat"; epoch: string; seq: number; feed: FeedState; feed_age_s: number }
  | { type: "reconnect"; after_s: number }
  | { type: "error"; code: string; detail: string }
  | { type: "pong"; id: unknown };

export interface Handlers {
  /** Each message, in order, none missing and none twice. */
  message?(message: Message): void;
  /** "open" once the server has greeted; "dropped", with the reason, when it will try again. */
  state?(state: "connecting" | "open" | "dropped", reason: string): void;
}
export interface Options {
  games?: string[];
  teams?: string[];
  token?: string | null;
  /** Where there is no global WebSocket (node before 22). */
  WebSocket?: unknown;
}

export class Stream {
  constructor(source: string | URL | (() => string | URL | Promise<string | URL>), handlers?: Handlers, options?: Options);
  /** The newest message of every game by its id. */
  games: Map<string, Game>;
  epoch: string | null;
  seq: number;
  state: "connecting" | "open" | "dropped";
  readonly since: string | null;
  close(): void;
}
export function follow(source: string | URL | (() => string | URL | Promise<string | URL>), handlers?: Handlers, options?: Options): Stream;
