/** Limits of the doors for agents. */
export type AgentOptions = {
  /** Models that are tools of their own; the newest. */
  readonly modelToolsMax: number
  /** Agents, Datanets or models of one listing. */
  readonly listMax: number
  /** Bytes of an agent's registration file. */
  readonly cardBytesMax: number
  readonly bodyBytesMax: number
  /** Requests under way at one door (MCP, A2A). There are no sessions: each is served alone. */
  readonly requestsMax: number
  readonly subscriptionsMax: number
  readonly promptCharactersMax: number
  readonly maxTokensDefault: number
  readonly maxTokensMax: number
  /** Steps of one agent. */
  readonly stepsMax: number
  /** Steps of one run, of its agent and of all that it calls: eight calls of eight, four deep, would be thousands. */
  readonly runStepsMax: number
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
  runStepsMax: 32,
  depthMax: 3,
}
