"""Why a model acted as it did: recorded calls, the parts that are suspects, and what the answers say of them."""
