"""What a manifest is made from: folders, archives, manifests, object stores."""
