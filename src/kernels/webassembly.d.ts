/** The few names of WebAssembly that are used here: TypeScript declares them only together with those of browsers. */
declare namespace WebAssembly {
  class Module {
    private readonly module: never;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum: number; shared: true });
    readonly buffer: SharedArrayBuffer;
  }
  class Instance {
    constructor(module: Module, imports: { env: { memory: Memory } });
    readonly exports: Record<string, unknown>;
  }
  function compile(bytes: Uint8Array): Promise<Module>;
}
