declare module 'virtual:rust-code' {
  const code: Record<string, { file: string; line: number; text: string }>;
  export default code;
}
