fn main() -> std::process::ExitCode {
    countersign_cli::main(std::env::args_os())
}
