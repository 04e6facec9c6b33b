"""Who is asking: plan, usage, health, value, tier, onboarding."""
