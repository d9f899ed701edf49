# Sourced by check.sh, test.sh and test-long.sh: named steps, and how long each took.

steps=()

# Begins a step, and ends the one before.
step() {
  end_step
  step_name=$*
  step_start=$SECONDS
  printf '\n\033[1m== %s\033[0m\n' "$step_name"
}

end_step() {
  if [ -n "${step_name:-}" ]; then steps+=("$(printf '%5d s  %s' $((SECONDS - step_start)) "$step_name")"); fi
  step_name=
}

# The times of all steps.
report_steps() {
  end_step
  printf '\nTime of each step:\n'
  printf '%s\n' "${steps[@]}"
}
