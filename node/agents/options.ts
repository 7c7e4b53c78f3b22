/** Limits of the doors for agents. */
export type AgentOptions = {
  /** Models that are tools of their own; the newest. */
  readonly modelToolsMax: number
  /** Agents, Datanets or models of one listing. */
  readonly listMax: number
  /** Bytes of an agent's registration file. */
  readonly cardBytesMax: number
  readonly bodyBytesMax: number
  /** MCP requests under way. There are no sessions: each is served alone. */
  readonly requestsMax: number
  readonly subscriptionsMax: number
  readonly promptCharactersMax: number
  readonly maxTokensDefault: number
  readonly maxTokensMax: number
  /** Steps of one agent. */
  readonly stepsMax: number
  /** Agents that call agents that call agents. */
  readonly depthMax: number
}

export const AGENT_DEFAULTS: AgentOptions = {
  modelToolsMax: 64,
  listMax: 50,
  cardBytesMax: 64 * 1024,
  bodyBytesMax: 1024 * 1024,
  requestsMax: 64,
  subscriptionsMax: 16,
  promptCharactersMax: 65_536,
  maxTokensDefault: 64,
  maxTokensMax: 4_096,
  stepsMax: 8,
  depthMax: 3,
}
